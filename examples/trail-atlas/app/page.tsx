import { trails } from "../lib/trails.mjs";

export default function Page() {
  return (
    <main>
      <h1>{process.env.NEXT_PUBLIC_SITE_NAME ?? "Trail atlas"}</h1>
      <ul>
        {trails.map((trail) => (
          <li key={trail.slug}>
            {trail.name}: {trail.km} km
          </li>
        ))}
      </ul>
    </main>
  );
}
