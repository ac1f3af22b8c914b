"""Who is asking, and how far that can be believed.

The ways of knowing, in their order; the first that says something is the answer, and its name is on the record:

| method           | assurance  | said by                                                                         |
|------------------|------------|---------------------------------------------------------------------------------|
| `proxy_basic`    | `verified` | a name and password that the client gave this proxy (`identity.users`, `login`) |
| `header_trusted` | `asserted` | a header of a proxy in front of this one, listed in `identity.trusted_proxies`  |
| `ip_map`         | `mapped`   | the address, in `identity.address_map`, while its row holds                     |
| `key_map`        | `mapped`   | the API key, in the register `identity.keys`, while its row holds               |
| `none`           | `none`     | nothing: the address itself is the subject                                      |

Why in this order: what was proven here comes before what another has proven, a person before the machine he sits at,
and the machine before a key, which may be anybody's. Two things outrank the table:
- A credential that was sent is judged. A wrong one is refused, and nothing weaker is asked instead.
- Inside a CONNECT tunnel the client itself has written the headers: there a trusted proxy is believed for what it said
  on the CONNECT, and not for the requests (`identity.trusted_in_tunnels` says that the proxies open tunnels).

What is proven on CONNECT holds for the connection, what a plain request proves for that request. Groups, role and
department come from the header or map that named the subject, and from the register `identity.people`.

Identity headers never travel on, whoever sent them: an AI provider has no business with our user names (`strip`).

`Subject.id` holds the real name (`user:alice`, `service:ci`, or the address), because policy conditions on `subject`
and `group` are written with real names. It must not reach a record as it is: the gate keys it first (a fingerprint
under the purpose `subject`), so that the records alone name nobody; `sluice.subjects` keeps the names, sealed.

`resolver` the table above; `addresses`, `people`, `owners`, `users` the files; `login` and `lockout` the passwords;
`known` all files together; `watch` reads changed ones while the appliance runs.
"""

from sluice.identity.addresses import AddressMap, Lease, read_map
from sluice.identity.known import Known
from sluice.identity.names import KINDS, METHODS
from sluice.identity.resolver import Resolver

__all__ = ["KINDS", "METHODS", "AddressMap", "Known", "Lease", "Resolver", "read_map"]
