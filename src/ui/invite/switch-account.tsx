"use client";

import { signOut } from "next-auth/react";
import { useState } from "react";
import { Button } from "@/ui/kit/button";

/** Signs out and goes on where the other address signs in. */
export function SwitchAccount({ returnTo }: { returnTo: string }) {
  const [leaving, setLeaving] = useState(false);
  return (
    <p className="mt-6">
      <Button
        variant="primary"
        size="large"
        loading={leaving}
        onClick={() => {
          setLeaving(true);
          void signOut({ callbackUrl: returnTo });
        }}
      >
        Sign out and use the invited address
      </Button>
    </p>
  );
}
