import { EnvError } from "@/lib/env";
import { isServiceError } from "@/lib/errors";
import { doctor } from "./doctor";
import { HELP } from "./help";
import { init } from "./init";
import { createKey, listKeys, revokeKey, rotateKey } from "./keys";
import { listOrgs } from "./orgs";
import { acceptPrice, checkPrices, listProposals, refreshPrices, rejectPrice, reportPrices } from "./list-prices";
import { deletePrice, listOwnPrices, setPrice } from "./prices";
import { readOptions, type Options } from "./read-options";
import { UsageError } from "./usage-error";

export type CliInput = {
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** The project's folder. */
  root: string;
  out: (text: string) => void;
  err: (text: string) => void;
};

/** What a command gives: data for `--json`, words for people. */
export type CommandResult = { data: unknown; text: string; /** The command ran and found something wrong. */ failed?: boolean };
export type CommandInput = Pick<CliInput, "env" | "root"> & { words: readonly string[]; options: Options };
type Command = (input: CommandInput) => Promise<CommandResult>;

const COMMANDS: Readonly<Record<string, Command>> = {
  init,
  doctor,
  "key create": createKey,
  "key list": listKeys,
  "key revoke": revokeKey,
  "key rotate": rotateKey,
  "org list": listOrgs,
  "price set": setPrice,
  "price list": listOwnPrices,
  "price delete": deletePrice,
  "price report": reportPrices,
  "price refresh": refreshPrices,
  "price check": checkPrices,
  "price proposals": listProposals,
  "price accept": acceptPrice,
  "price reject": rejectPrice,
};

/** Runs one command. @returns the exit code: 0 done, 1 failed, 2 not understood. */
export async function runCli({ args, env, root, out, err }: CliInput): Promise<0 | 1 | 2> {
  const asJson = args.includes("--json");
  try {
    const { words, options } = readOptions(args);
    if (options.help || words.length === 0 || words[0] === "help") {
      out(HELP);
      return words.length === 0 && !options.help ? 2 : 0;
    }
    const { command, rest } = findCommand(words);
    const { data, text, failed = false } = await command({ env, root, words: rest, options });
    out(options.json ? `${JSON.stringify(data, null, 2)}\n` : `${text}\n`);
    return failed ? 1 : 0;
  } catch (error) {
    const { code, message } = inWords(error);
    err(asJson ? `${JSON.stringify({ error: { code, message } })}\n` : `${message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function findCommand(words: readonly string[]): { command: Command; rest: readonly string[] } {
  const [first = "", second = ""] = words;
  const two = COMMANDS[`${first} ${second}`];
  if (two) return { command: two, rest: words.slice(2) };
  const one = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  if (one) return { command: one, rest: words.slice(1) };
  throw new UsageError(`There is no command "${`${first} ${second}`.trim()}". See --help.`);
}

/** The message is for an operator, who may see everything: causes are told along. */
function inWords(error: unknown): { code: string; message: string } {
  if (error instanceof UsageError) return { code: "usage", message: error.message };
  if (isServiceError(error)) return { code: error.code, message: error.message };
  if (error instanceof EnvError) return { code: "environment", message: error.message };
  const messages: string[] = [];
  for (let each = error; each instanceof Error && messages.length < 5; each = each.cause) if (each.message) messages.push(each.message);
  return { code: "failed", message: messages.join(": ") || String(error) };
}
