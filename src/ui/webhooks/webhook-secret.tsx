"use client";

import { useState } from "react";
import { SecretText } from "@/ui/components/secret-text";
import { Button } from "@/ui/kit/button";
import { Checkbox } from "@/ui/kit/choice";
import { DialogActions } from "@/ui/kit/dialog";
import { Notice } from "@/ui/kit/page";
import { VerifyCode } from "./verify-code";

/** A signing secret that is shown once, with the code that needs it. */
export function WebhookSecret({ secret, rotated, onDone }: { secret: string; rotated: boolean; onDone: () => void }) {
  const [saved, setSaved] = useState(false);
  return (
    <div className="flex flex-col gap-5">
      <Notice tone="warning" title="Shown this once">
        {rotated ? "For 24 hours deliveries are signed with the old secret too." : "If it is lost, rotate it."}
      </Notice>
      <SecretText text={secret} what="the signing secret" testId="signing-secret" />
      <VerifyCode />
      <Checkbox label="I have saved the secret" checked={saved} onCheckedChange={setSaved} />
      <DialogActions>
        <Button variant="primary" disabled={!saved} onClick={onDone}>
          Done
        </Button>
      </DialogActions>
    </div>
  );
}
