// `npm run nullspend -- …`: the command line for operators.
import { runCli } from "@/adapters/cli";

process.exitCode = await runCli({
  args: process.argv.slice(2),
  env: process.env,
  root: process.cwd(),
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
