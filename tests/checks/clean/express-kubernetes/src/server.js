import express from "express";
import pg from "pg";
import pino from "pino";

const log = pino();
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, query_timeout: 2000 });
const app = express();

app.get("/livez", (_request, response) => response.json({ status: "alive" }));
app.get("/health", async (_request, response) => {
  try {
    await pool.query("SELECT 1");
    response.json({ status: "healthy", database: "up", timestamp: new Date().toISOString() });
  } catch {
    response.status(503).json({ status: "unhealthy", database: "down", timestamp: new Date().toISOString() });
  }
});

const server = app.listen(Number(process.env.PORT ?? 3000), "0.0.0.0", () => log.info("listening"));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
