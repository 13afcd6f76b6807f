import type { Metadata } from "next";
import { ExplorerPage } from "@/ui/explorer/explorer-page";

export const metadata: Metadata = { title: "Explorer" };

export default function Page() {
  return <ExplorerPage />;
}
