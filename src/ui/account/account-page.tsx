"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { signOut } from "next-auth/react";
import { useState } from "react";
import { PasswordInput } from "@/ui/auth/password-input";
import { SkipLink } from "@/ui/components/site-frame";
import { Badge } from "@/ui/kit/badge";
import { Button } from "@/ui/kit/button";
import { AlertDialog } from "@/ui/kit/dialog";
import { ErrorState } from "@/ui/kit/empty-state";
import { Field, FormError } from "@/ui/kit/field";
import { Input } from "@/ui/kit/input";
import { Card, Notice, PageHeader } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Time } from "@/ui/kit/time";
import { Toaster, toast } from "@/ui/kit/toast";
import { ThemeSwitch } from "@/ui/theme/theme-switch";
import { errorOf, TrpcProvider, useTRPC, type RouterOutputs } from "@/ui/trpc";

export function AccountPage() {
  return (
    <TrpcProvider>
      <SkipLink />
      <main id="content" tabIndex={-1} className="mx-auto flex w-full max-w-2xl flex-col gap-6 px-5 py-10 outline-none">
        <PageHeader title="Account" breadcrumbs={[{ label: "NullSpend", href: "/app" }]} />
        <Contents />
      </main>
      <Toaster />
    </TrpcProvider>
  );
}

function Contents() {
  const trpc = useTRPC();
  const profile = useQuery(trpc.me.profile.queryOptions());
  if (profile.isPending) return <SkeletonRows rows={6} label="Loading your account" />;
  if (profile.isError) {
    return (
      <ErrorState
        title="Your account could not be loaded"
        referenceId={errorOf(profile.error).reference ?? undefined}
        onRetry={() => void profile.refetch()}
      >
        {errorOf(profile.error).message}
      </ErrorState>
    );
  }
  return (
    <>
      {!profile.data.emailVerified && <Unverified email={profile.data.email} />}
      <ProfileCard profile={profile.data} />
      <PasswordCard hasPassword={profile.data.hasPassword} />
      <SessionsCard />
      <DeleteCard email={profile.data.email} />
    </>
  );
}

type Profile = RouterOutputs["me"]["profile"];

function Unverified({ email }: { email: string }) {
  const trpc = useTRPC();
  const resend = useMutation(trpc.me.resendVerification.mutationOptions());
  return (
    <Notice
      tone="warning"
      title="Your address is not confirmed"
      actions={
        <Button size="small" loading={resend.isPending} disabled={resend.isSuccess} onClick={() => resend.mutate()}>
          {resend.isSuccess ? "On its way" : "Send the mail again"}
        </Button>
      }
    >
      {resend.isError
        ? errorOf(resend.error).message
        : `Open the link that was mailed to ${email}. Invitations are accepted by confirmed addresses only.`}
    </Notice>
  );
}

function ProfileCard({ profile }: { profile: Profile }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [name, setName] = useState(profile.name ?? "");
  const update = useMutation(
    trpc.me.updateProfile.mutationOptions({
      onSuccess: () => {
        toast.success("Saved");
        void queryClient.invalidateQueries(trpc.me.profile.queryFilter());
      },
    }),
  );
  return (
    <Card title="Profile">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          update.mutate({ name });
        }}
      >
        <Field label="Name" required>
          <Input value={name} onValueChange={setName} maxLength={100} autoComplete="name" />
        </Field>
        <Field label="E-mail" hint="Your account goes by it, so it stays.">
          <Input value={profile.email} readOnly />
        </Field>
        <div className="flex items-center justify-between gap-4 text-small font-medium">
          Theme <ThemeSwitch />
        </div>
        <FormError>{update.isError ? errorOf(update.error).message : undefined}</FormError>
        <div>
          <Button type="submit" loading={update.isPending} disabled={name.trim() === "" || name === profile.name}>
            Save
          </Button>
        </div>
      </form>
    </Card>
  );
}

function PasswordCard({ hasPassword }: { hasPassword: boolean }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const change = useMutation(
    trpc.me.changePassword.mutationOptions({
      onSuccess: () => {
        setCurrent("");
        setNext("");
        toast.success("Changed; other sessions were signed out");
        void queryClient.invalidateQueries(trpc.me.pathFilter());
      },
    }),
  );
  return (
    <Card title="Password">
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate({ ...(hasPassword && { currentPassword: current }), newPassword: next });
        }}
      >
        {hasPassword && (
          <Field label="Current password" required>
            <PasswordInput value={current} onValueChange={setCurrent} autoComplete="current-password" />
          </Field>
        )}
        <Field label="New password" hint="At least 10 characters." required>
          <PasswordInput value={next} onValueChange={setNext} autoComplete="new-password" />
        </Field>
        <FormError>{change.isError ? errorOf(change.error).message : undefined}</FormError>
        <div>
          <Button type="submit" loading={change.isPending} disabled={next === "" || (hasPassword && current === "")}>
            Change the password
          </Button>
        </div>
      </form>
    </Card>
  );
}

function SessionsCard() {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const sessions = useQuery(trpc.me.sessions.queryOptions());
  const revoke = useMutation(
    trpc.me.revokeSession.mutationOptions({ onSettled: () => void queryClient.invalidateQueries(trpc.me.sessions.queryFilter()) }),
  );
  const everywhere = useMutation(trpc.me.signOutEverywhere.mutationOptions());
  return (
    <Card
      title="Where you are signed in"
      actions={
        <Button
          size="small"
          loading={everywhere.isPending}
          onClick={() =>
            void everywhere.mutateAsync().then(
              () => window.location.assign("/signin"),
              (error: unknown) => toast.error(errorOf(error).message),
            )
          }
        >
          Sign out everywhere
        </Button>
      }
    >
      {sessions.data === undefined ? (
        <SkeletonRows rows={2} label="Loading the sessions" />
      ) : (
        <ul className="divide-y divide-line">
          {sessions.data.map(({ id, isCurrent, lastSeenAt, ip, userAgent }) => (
            <li key={id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 py-2 text-small">
              <span className="min-w-0">
                <span className="block break-words">{deviceWords(userAgent)}</span>
                <span className="block text-micro text-ink-muted">
                  {ip ?? "unknown address"} · seen <Time value={lastSeenAt} style="relative" />
                </span>
              </span>
              {isCurrent ? (
                <span className="flex items-center gap-2">
                  <Badge tone="positive">This device</Badge>
                  <Button size="small" onClick={() => void signOut({ callbackUrl: "/signin" })}>
                    Sign out
                  </Button>
                </span>
              ) : (
                <Button
                  size="small"
                  loading={revoke.isPending && revoke.variables.sessionId === id}
                  onClick={() => revoke.mutate({ sessionId: id })}
                >
                  End
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

/** "Chrome on Linux" where it can be told. */
function deviceWords(userAgent: string | null): string {
  if (userAgent === null) return "Unknown device";
  const browser = ["Edg", "Firefox", "Chrome", "Safari"].find((name) => userAgent.includes(`${name}/`));
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"].find((name) => userAgent.includes(name));
  return browser === undefined
    ? userAgent.slice(0, 80)
    : `${browser === "Edg" ? "Edge" : browser}${system === undefined ? "" : ` on ${system}`}`;
}

function DeleteCard({ email }: { email: string }) {
  const trpc = useTRPC();
  const remove = useMutation(trpc.me.deleteAccount.mutationOptions());
  return (
    <Card title="Delete the account" tone="danger" description="Your keys stop, your own organisation goes, and you leave all others.">
      <AlertDialog
        trigger={<Button variant="danger">Delete the account…</Button>}
        title="Delete your account?"
        description="This cannot be undone."
        confirm="Delete the account"
        typeToConfirm={email}
        errorText={(error) => errorOf(error).message}
        onConfirm={async () => {
          await remove.mutateAsync();
          window.location.assign("/");
        }}
      />
    </Card>
  );
}
