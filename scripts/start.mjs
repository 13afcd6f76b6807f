// `npm start`: makes what is missing or stale, then runs the server in this same process, so that signals and the exit code are its own.
import { enterProject } from "./lib/project.mjs";
import { prepareServer } from "./lib/prepare.mjs";

enterProject();
// Assigned, whatever the shell says: this command serves production.
process.env.NODE_ENV = "production";
process.env.NEXT_TELEMETRY_DISABLED = "1";
// What lets tests kill the process at a chosen place.
delete process.env.NULLSPEND_TEST_ALLOWS_FAILPOINTS;

await prepareServer();
process.setSourceMapsEnabled(true);
await import("../dist/main.mjs");
