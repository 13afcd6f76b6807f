import type { Metadata } from "next";
import { KeysPage } from "@/ui/keys/keys-page";

export const metadata: Metadata = { title: "Keys" };

export default function Page() {
  return <KeysPage />;
}
