import type { Metadata } from "next";
import Link from "next/link";
import { MessagePage } from "@/ui/components/message-page";

export const metadata: Metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <MessagePage code="404" title="There is no page here">
      <p>
        Model calls go to <code className="font-mono text-ink">/v1</code>, the API is under <code className="font-mono text-ink">/api</code>
        .{" "}
        <Link href="/" className="link text-ink">
          Go to the first page
        </Link>
      </p>
    </MessagePage>
  );
}
