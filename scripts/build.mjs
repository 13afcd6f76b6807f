// `npm run build`: what `npm start` would make, without starting. `--force` makes it again even where nothing changed.
import { enterProject } from "./lib/project.mjs";
import { prepareServer } from "./lib/prepare.mjs";

enterProject();
process.env.NODE_ENV = "production";
await prepareServer({ force: process.argv.includes("--force") });
