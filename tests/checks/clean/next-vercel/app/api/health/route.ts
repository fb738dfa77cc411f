import { Pool } from "pg";

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 3, query_timeout: 2000 });

export async function GET(): Promise<Response> {
  const timestamp = new Date().toISOString();
  try {
    await pool.query("SELECT 1");
    return Response.json({ status: "healthy", database: "up", timestamp });
  } catch {
    return Response.json({ status: "unhealthy", database: "down", timestamp }, { status: 503 });
  }
}
