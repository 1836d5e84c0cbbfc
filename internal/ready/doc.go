// Package ready tells when a new generation can serve.
//
// A source (see the table in source.go) is either the worker's own word, on the
// readiness pipe (Pipe), the notification socket of sd_notify(3) (Notify) or a
// channel, or a probe that is asked until it succeeds (Poll). Mode is the parsed
// setting that says which of them count.
//
// Nothing here decides anything: a source reports what it saw, the caller's
// state machine draws the conclusion. No source holds a thread while it waits;
// all of them sleep in the runtime's poller.
package ready
