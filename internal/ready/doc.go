// Package ready tells when a new generation can serve.
//
// Three kinds of source feed it: the readiness pipe (Pipe), the notification
// socket of sd_notify(3) (Notify) and probes that ask the generation itself
// (Poll with TCP, HTTP or a func of the caller's). Mode is the parsed setting
// that says which of them count.
//
// Nothing here decides anything: a source reports what it saw, the caller's
// state machine draws the conclusion. No source holds a thread while it waits;
// all of them sleep in the runtime's poller.
package ready
