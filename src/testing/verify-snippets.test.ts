import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { newSigningSecret, signatureHeaders } from "@/server/webhook/sign";
import { VERIFY_SNIPPETS, type VerifySnippet } from "@/ui/webhooks/verify-snippets";

// What would break in production: a customer copies code that refuses what is ours, or takes what is not.

const folder = mkdtempSync(join(tmpdir(), "nullspend-snippets-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Each runs its snippet over lines of {body, header, secret} and prints a list of booleans. */
const PROGRAMS: Readonly<
  Record<VerifySnippet["id"], { command: string; files: (code: string) => Record<string, string>; args: string[] }>
> = {
  js: {
    command: process.execPath,
    files: (code) => ({
      "verify.mjs": `${code}\nconst cases = JSON.parse(process.argv[2]);\nconsole.log(JSON.stringify(cases.map((c) => verify(c.body, c.header, c.secret))));`,
    }),
    args: ["verify.mjs"],
  },
  python: {
    command: "python3",
    files: (code) => ({
      "verify.py": `${code}\nimport json, sys\nprint(json.dumps([verify(c["body"].encode(), c["header"], c["secret"]) for c in json.loads(sys.argv[1])]))`,
    }),
    args: ["verify.py"],
  },
  go: {
    command: "go",
    files: (code) => ({
      "verify.go": code.replace("package webhook", "package main"),
      "main.go": `package main
import ("encoding/json"; "fmt"; "os")
func main() {
	var cases []struct{ Body, Header, Secret string }
	if err := json.Unmarshal([]byte(os.Args[1]), &cases); err != nil { panic(err) }
	results := []bool{}
	for _, c := range cases { results = append(results, Verify([]byte(c.Body), c.Header, c.Secret)) }
	out, _ := json.Marshal(results)
	fmt.Println(string(out))
}`,
    }),
    args: ["run", "verify.go", "main.go"],
  },
  php: {
    command: "php",
    files: (code) => ({
      "verify.php": `${code}\necho json_encode(array_map(fn($c) => verify($c['body'], $c['header'], $c['secret']), json_decode($argv[1], true)));`,
    }),
    args: ["verify.php"],
  },
};

const isInstalled = (command: string): boolean =>
  spawnSync(command, [command === "go" ? "version" : "--version"], { stdio: "ignore" }).error === undefined;

for (const { id, label, code } of VERIFY_SNIPPETS) {
  const { command, files, args } = PROGRAMS[id];
  test.skipIf(!isInstalled(command))(
    `the ${label} code takes what we sign, both secrets of a rotation, and nothing else (needs ${command})`,
    () => {
      const [secret, old] = [newSigningSecret(), newSigningSecret()];
      const body = '{"id":"evt_1","name":"Zoë “quoted”"}';
      const now = Math.floor(Date.now() / 1000);
      const header = (timestamp: number, secrets: string[]) =>
        signatureHeaders({ id: "evt_1", timestamp, body, secrets })["x-nullspend-signature"]!;
      const good = header(now, [secret, old]);
      const cases = [
        { body, header: good, secret },
        { body, header: good, secret: old },
        { body: `${body} `, header: good, secret },
        { body, header: good, secret: newSigningSecret() },
        { body, header: header(now - 400, [secret]), secret },
        { body, header: header(now + 400, [secret]), secret },
        { body, header: good.replace(/v1=[0-9a-f]/g, "v1=g"), secret },
        { body, header: `t=${now}`, secret },
      ];
      for (const [name, text] of Object.entries(files(code))) writeFileSync(join(folder, name), text);
      const result = spawnSync(command, [...args, JSON.stringify(cases)], { cwd: folder, encoding: "utf8" });
      expect(result.stderr).toBe("");
      expect(JSON.parse(result.stdout)).toEqual([true, true, false, false, false, false, false, false]);
    },
  );
}
