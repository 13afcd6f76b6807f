// `npm run verify`: format, lint, types and the tests that need no database, in seconds.
import { runChecks } from "./lib/checks.mjs";
import { prepareSources } from "./lib/prepare.mjs";
import { enterProject } from "./lib/project.mjs";

enterProject();
await prepareSources();
const { failed } = await runChecks({ withPureTests: true });
process.exit(failed === 0 ? 0 : 1);
