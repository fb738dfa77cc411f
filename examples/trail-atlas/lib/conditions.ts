/** Asks the partner for a trail's condition. Runs on the server only, so the key never reaches the browser. */
export async function condition(slug: string): Promise<string> {
  const response = await fetch(`${process.env.TRAIL_API_URL}/conditions/${slug}`, {
    headers: { authorization: `Bearer ${process.env.TRAIL_API_KEY}` },
  });
  return response.ok ? ((await response.json()) as { text: string }).text : "unknown";
}
