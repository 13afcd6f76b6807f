import { expect, test } from "vitest";
import { clientSnippets } from "@/ui/landing/snippets";
import { withKey } from "./with-key";

const KEY = `ns_live_sk_${"0".repeat(32)}`;

test.each(clientSnippets("https://spend.example").map((snippet) => [snippet.label, snippet.code] as const))(
  "the %s snippet carries the key itself and names no variable for it any more",
  (_label, code) => {
    const filled = withKey(code, KEY);
    expect(filled).toContain(KEY);
    expect(filled).not.toMatch(/NULLSPEND_KEY/);
  },
);
