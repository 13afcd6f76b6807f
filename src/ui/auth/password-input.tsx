"use client";

import { Eye, EyeOff } from "lucide-react";
import { useState } from "react";
import { IconButton } from "@/ui/kit/button";
import { Input } from "@/ui/kit/input";

type PasswordInputProps = {
  value: string;
  onValueChange: (value: string) => void;
  autoComplete: "current-password" | "new-password";
  autoFocus?: boolean;
};

/** Can be pasted into, and shown. */
export function PasswordInput({ value, onValueChange, autoComplete, autoFocus = false }: PasswordInputProps) {
  const [shown, setShown] = useState(false);
  const Icon = shown ? EyeOff : Eye;
  return (
    <div className="flex items-center gap-2">
      <Input
        type={shown ? "text" : "password"}
        value={value}
        onValueChange={onValueChange}
        autoComplete={autoComplete}
        autoFocus={autoFocus}
        maxLength={256}
        required
        className="flex-1"
      />
      <IconButton label={shown ? "Hide the password" : "Show the password"} type="button" onClick={() => setShown(!shown)}>
        <Icon aria-hidden className="size-4" />
      </IconButton>
    </div>
  );
}
