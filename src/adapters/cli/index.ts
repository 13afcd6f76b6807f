export { runCli, type CliInput } from "./run-cli";
