import type { Metadata } from "next";
import { SessionsPage } from "@/ui/sessions/sessions-page";

export const metadata: Metadata = { title: "Sessions" };

export default function Page() {
  return <SessionsPage />;
}
