"use client";

import { CodeBlock } from "@/ui/components/code-block";
import { Tabs } from "@/ui/components/tabs";
import { VERIFY_SNIPPETS } from "./verify-snippets";

/** What a receiver checks each request with. */
export function VerifyCode() {
  return (
    <Tabs
      label="Language"
      tabs={VERIFY_SNIPPETS.map(({ id, label, language, code }) => ({
        id,
        label,
        panel: <CodeBlock code={code} language={language} title="X-NullSpend-Signature" what={`the ${label} code`} />,
      }))}
    />
  );
}
