export const HELP = `Usage: npm run -s nullspend -- <command> [options]

  init                          Make the first user, organisation and key. Repeating it changes nothing.
    --email <address>             the owner (default: NULLSPEND_INIT_USER_EMAIL, else owner@nullspend.local)
    --org-name <name>             the organisation (default: NULLSPEND_INIT_ORG_NAME)
                                  A password is read from NULLSPEND_INIT_USER_PASSWORD, keys from
                                  NULLSPEND_INIT_API_KEY and NULLSPEND_INIT_ADMIN_KEY.

  key create --name <name>      Make a key; its secret is printed once.
    --scopes <a,b>                proxy, ingest, self, read, manage (default: proxy,ingest,self)
    --expires <time|duration>     ISO 8601, or 12h, 30d
    --owner <email>               the member it belongs to (default: the organisation's oldest owner)
  key list [--all]              List keys; --all also shows revoked ones.
  key revoke <id>               End a key within a second, for good.
  key rotate <id>               Give a key a new secret.
    --overlap <duration>          how long the old one still works: 0s to 30d (default: 24h)

  org list                      List organisations.

  price set <provider> <model>  Give the organisation its own price, in dollars per million tokens.
    --input <usd> --output <usd>  required
    --cached-input, --cache-write-5m, --cache-write-1h, --reasoning <usd>
    --per-call <usd>  --valid-from <time>
  price list [--list]           List own prices; --list also shows the providers' list prices.
  price delete <provider> <model>

  price report [--org <id>]     Models called in the last 30 days without a full price, and prices of the book that are not whole.
  price refresh [--url <url>]   Read the published price list and write down what is new. Off without PRICE_REFRESH=1 or --url.
  price check [--url <url>]     Compare the book with a second source. Off without PRICE_CHECK=1 or --url. Changes nothing.
  price proposals               List prices that a refresh found hard to believe.
  price accept <id>, price reject <id>

  doctor                        Check environment, database, migrations, stored configuration and server.

Everywhere: --org <id or slug> where there is more than one organisation, --json for programs, --help.
The database is the one the server uses: DATABASE_URL, else the embedded one under DATA_DIR (.data).
Exit codes: 0 done, 1 failed, 2 not understood.
`;
