import { ErrorState } from "@/ui/kit/empty-state";

/** Inside the shell: the organisation is there, what was asked of it is not. */
export default function NotFound() {
  return <ErrorState title="There is no such page here">It may have been deleted, or belong to another organisation.</ErrorState>;
}
