// `npm run -s nullspend -- …`: the command line tool, from a bundle as fresh as its sources. Only the tool writes to stdout.
import { enterProject } from "./lib/project.mjs";
import { prepareBundle } from "./lib/prepare.mjs";

enterProject();
process.env.NODE_ENV = "production";
await prepareBundle();
process.setSourceMapsEnabled(true);
await import("../dist/cli.mjs");
