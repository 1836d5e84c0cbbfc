package config

import "strings"

// Markdown is docs/environment.md: the table of settings and what goes with it.
// After a change, `go test ./internal/config -run TestEnvironmentPage -update`
// writes the page anew.
func Markdown() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, r := range table() {
		shown := r.tag.Get("shown") + r.tag.Get("envDefault") // never both
		if shown == "" {
			shown = "empty"
		} else {
			shown = "^" + shown + "^"
		}
		cells := []string{"^" + r.name + "^", shown, r.accepts, r.tag.Get("help")}
		b.WriteString("| ")
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(strings.Join(cells, "\x00"), "|", `\|`), "\x00", " | "))
		b.WriteString(" |\n")
	}
	b.WriteString(pageTail)
	return strings.ReplaceAll(b.String(), "^", "`")
}

const pageHead = `# Environment

<!-- Generated from internal/config; do not edit. To renew it:
go test ./internal/config -run TestEnvironmentPage -update -->

## Interface

Every setting of swapinit is an environment variable whose name begins with
^SWAPINIT_^. A flag wins over the variable, the variable over the default.

Settings are checked before anything is started. A value that is not accepted,
or a name beginning with ^SWAPINIT_^ that is not on this page, is one line on
stderr and exit status 125:

    swapinit: cannot use SWAPINIT_READY_TIMEOUT="30": no unit, write 30s; want a duration such as 30s, 1m30s or 0, at most 8760h
    swapinit: cannot use SWAPINIT_LITSEN=":8080": no such setting, did you mean SWAPINIT_LISTEN?

An empty value is as good as an unset variable, except for
^SWAPINIT_SWAP_SIGNALS^, ^SWAPINIT_EXPORT^ and ^SWAPINIT_SIGNAL_MAP^, where it
means none. Names are upper case; ^swapinit_listen^ is not looked at.

The server does not see the settings; what it does see is listed below.

## Settings

| Variable | Default | Accepts | Meaning |
|---|---|---|---|
`

const pageTail = `
Paths that are not absolute begin at the directory in which swapinit was
started (^WORKDIR^), except for the control socket's, which must be absolute.

## Flags

The short forms that users of tini and dumb-init know:

| Flag | Meaning |
|---|---|
| ^-g^ | ^SWAPINIT_KILL_GROUP=true^ |
| ^-c^, ^--single-child^ | ^SWAPINIT_KILL_GROUP=false^, the default; the last of ^-g^ and ^-c^ counts |
| ^-e N^ | exit status N counts as 0; adds to ^SWAPINIT_EXIT_MAP^ and wins; repeatable |
| ^-r FROM:TO^, ^--rewrite FROM:TO^ | rewrites a forwarded signal, TO 0 drops it; adds to ^SWAPINIT_SIGNAL_MAP^ and wins; repeatable |
| ^-p SIGNAL^ | swapinit gets SIGNAL when its parent dies |
| ^-s^ | accepted; swapinit is a subreaper whenever it is not PID 1 |
| ^-w^ | every orphan that is reaped is logged |
| ^-v^, ^--verbose^ | one level more than ^SWAPINIT_LOG^; repeatable |
| ^-V^, ^--version^ | prints the version |
| ^-h^, ^--help^ | prints the help |

Flags can be bundled (^-gv^, ^-vvv^, ^-ge143^), values attached or separate
(^-e143^, ^-e 143^, ^--rewrite=15:3^, ^--rewrite 15:3^). They stop at the first
argument that is not one, or after ^--^.

## Variables that the server gets

| Variable | Value |
|---|---|
| ^SWAPINIT_GENERATION^ | the number of its generation, from 1 |
| ^SWAPINIT_READY_FD^ | a file descriptor; a line written to it means ready |
| ^SWAPINIT_WORKER^ | the number of the worker in its generation, from 0 |
| ^SWAPINIT_CHANNEL_FD^ | a file descriptor, one end of a socketpair for messages: JSON, one object a line |
| ^NODE_CHANNEL_FD^, ^NODE_CHANNEL_SERIALIZATION_MODE^ | the same for ^process.send^ and ^process.on('message')^ of Node, with ^SWAPINIT_NODE_IPC^ only |
| ^SWAPINIT_CONTROL^ | the address of the control socket |
| ^NOTIFY_SOCKET^ | where ^READY=1^ and the other messages of sd_notify(3) go |
| ^WATCHDOG_USEC^, ^WATCHDOG_PID^ | with ^SWAPINIT_WATCHDOG^ only |
| ^LISTEN_FDS^, ^LISTEN_PID^, ^LISTEN_FDNAMES^ | the endpoints from fd 3, with ^systemd^ in ^SWAPINIT_EXPORT^ |
| ^SERVER_STARTER_PORT^, ^SERVER_STARTER_GENERATION^ | the same, with ^server-starter^ |
| ^EINHORN_FD_COUNT^, ^EINHORN_FD_0^ and so on, ^EINHORN_MASTER_PID^ | the same, with ^einhorn^ |

Variables of these names that swapinit itself was given are removed.
^{generation}^ and ^{fd.NAME}^ (the fd number of that endpoint) are replaced in
the command's arguments and in the values of its environment, as in
^NGINX={fd.web};^. A name that no endpoint has is an error; all other braces
stay as they are.

The commands in ^SWAPINIT_PRE_SWAP^ and ^SWAPINIT_POST_SWAP^ get none of the
sockets and none of the descriptors. The one after a swap has
^SWAPINIT_RESULT^, which is ^ok^ or ^failed^.

Below another swapinit these variables are no settings:
^SWAPINIT_GENERATION^, ^SWAPINIT_READY_FD^, ^SWAPINIT_RESULT^,
^SWAPINIT_WORKER^, ^SWAPINIT_CHANNEL_FD^ and, with ^SWAPINIT_GENERATION^,
^SWAPINIT_CONTROL^.

## Notes

**Durations** are written as in Compose files: ^30s^, ^1m30s^, ^500ms^, ^1.5s^,
^1h^, and ^0^. Any other number needs its unit. They are never negative, not
shorter than 1ms unless ^0^, and at most 8760h (a year).

**Lists** are separated by commas or white space, newlines too. Empty elements
are skipped; the same element twice counts once, the same left side of ^=^
twice is an error.

**Stages** (^SWAPINIT_CANARY^, ^swapinit swap --canary^) are such a list of
^SHARE/DURATION^. The share has its ^%^ and at most two decimals, the duration
is at least 1ms. Shares need not grow, the same stage may be there twice, and
after the last one the successor gets everything. ^SWAPINIT_CANARY^,
^SWAPINIT_CANARY_CHECK^ and ^SWAPINIT_KEEP^ need steering: with
^SWAPINIT_STEER=off^ they are an error.

**Workers** are replaced so many at a time as ^SWAPINIT_BATCH^ says, and never
are fewer than ^SWAPINIT_WORKERS^ ready. A percentage is rounded down, to 1 at
least. Batches need the strategy ^overlap^ and neither ^SWAPINIT_CANARY^ nor
^SWAPINIT_KEEP^; these two need that strategy as well. Otherwise it is an error.

**A worker that ended** is started again after 100 ms, and each time that is
doubled, to 30 s. Five deaths in a row before it was ready end it all, with the
status of the last one. With one worker that is left to the container's restart
policy, unless ^SWAPINIT_RESPAWN^ says otherwise.

**Strategies**: under ^overlap^ predecessor and successor run side by side until
the successor is ready. Under ^handover^ the successor says what it is ready
for, the predecessor is told to release that, and then the successor to go.
Under ^replace^ connections wait in the endpoint while none of them runs; when
the successor fails, the previous command is started anew.

**Hooks** (^SWAPINIT_PRE_SWAP^, ^SWAPINIT_POST_SWAP^) are killed with their
process group after ^SWAPINIT_HOOK_TIMEOUT^. What the first one prints on its
last line, if that begins with ^command=^, is read as shell-like words.

**Signals** are names with or without SIG, in upper or lower case, numbers, or
^RTMIN+n^ and ^RTMAX-n^. A signal cannot both swap and stop. KILL and STOP
cannot be caught, PROF and 32 to 34 never reach swapinit, CHLD, PIPE and URG
are never forwarded: none of them can be in ^SWAPINIT_SWAP_SIGNALS^ or
^SWAPINIT_STOP_SIGNALS^, nor on the left in ^SWAPINIT_SIGNAL_MAP^. To be sent,
by ^SWAPINIT_STOP_SIGNAL^ or ^SWAPINIT_RETIRE_SIGNAL^, any signal but STOP can
be named.

**Shell-like words** (^SWAPINIT_SWAP_COMMAND^, ^SWAPINIT_CANARY_CHECK^,
^SWAPINIT_PRE_SWAP^, ^SWAPINIT_POST_SWAP^, the target file) are split at white space. Single quotes, double quotes and
backslashes work as in a shell; nothing is expanded, and ^$^, ^;^, ^|^ and ^&^
are ordinary characters. In the target file, at most 64 KiB, ^#^ at the beginning of a word begins a comment.

**Environment files** are at most 1 MiB and have one ^KEY=VALUE^ a line, with
an optional ^export^ before it. ^#^ at the beginning of a line or after white
space begins a comment. Quotes are removed, as by Compose, and ^$^ expands
nothing. Quoted values may span lines; within double quotes ^\n^, ^\r^, ^\t^,
^\"^, ^\$^ and ^\\^ are escapes, within single quotes ^\'^ is one. Of a key given
twice the later value counts. A ^SWAPINIT_^ name in such a file is an error: it
would come too late to have an effect.
`
