import Link from "next/link";
import { MessagePage } from "@/ui/components/message-page";

/** For an organisation that does not exist and for one that is not theirs: the two are not told apart. */
export default function NotFound() {
  return (
    <MessagePage code="404" title="There is no such page for you">
      <p>
        The organisation or page does not exist, or you are not a member. Ask for an invitation, or{" "}
        <Link href="/app" className="link text-ink">
          go to your own organisation
        </Link>
        .
      </p>
    </MessagePage>
  );
}
