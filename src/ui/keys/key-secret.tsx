"use client";

import { Download } from "lucide-react";
import { useState } from "react";
import { SecretText } from "@/ui/components/secret-text";
import { saveAsFile } from "@/ui/format/csv";
import { Button } from "@/ui/kit/button";
import { Checkbox } from "@/ui/kit/choice";
import { DialogActions } from "@/ui/kit/dialog";
import { Notice } from "@/ui/kit/page";
import { useOrigin } from "@/ui/lib/browser";

/** What a project needs, ready to be saved. */
export function envFileOf({ rawKey, origin }: { rawKey: string; origin: string }): string {
  return [
    "# NullSpend: every model call goes through this address and carries this key.",
    `NULLSPEND_KEY=${rawKey}`,
    `OPENAI_BASE_URL=${origin}/v1`,
    `ANTHROPIC_BASE_URL=${origin}`,
    `ANTHROPIC_CUSTOM_HEADERS=X-NullSpend-Key: ${rawKey}`,
    "",
  ].join("\n");
}

/** A secret that is shown once: copied or saved before the dialog lets go of it. */
export function KeySecret({ rawKey, name, onDone }: { rawKey: string; name: string; onDone: () => void }) {
  const origin = useOrigin("");
  const [saved, setSaved] = useState(false);
  return (
    <div className="flex flex-col gap-5">
      <Notice tone="warning" title="Shown this once">
        Only a hash of it is stored. If it is lost, rotate the key.
      </Notice>
      <SecretText text={rawKey} what="the key" testId="raw-key" />
      <Button
        icon={<Download aria-hidden className="size-4" />}
        onClick={() => {
          saveAsFile({
            name: `${name.replace(/[^a-z0-9]+/gi, "-").toLowerCase() || "nullspend"}.env`,
            text: envFileOf({ rawKey, origin }),
            type: "text/plain",
          });
          setSaved(true);
        }}
      >
        Download .env
      </Button>
      <Checkbox label="I have saved the key" checked={saved} onCheckedChange={setSaved} />
      <DialogActions>
        <Button variant="primary" disabled={!saved} onClick={onDone}>
          Done
        </Button>
      </DialogActions>
    </div>
  );
}
