package spawn

import (
	"bytes"
	"strconv"
	"syscall"
)

// What the stage tells its parent: messages of 14 bytes on a pipe that is
// close-on-exec, so that the end of file says "the program runs now".
//
//	 0    2  3          8  9             13
//	┌──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┐
//	│v  1 │␠ │ step         │␠ │ errno     │\n│
//	└──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┘
//	 step: "begin"  the next thing is the execve; errno 0000
//	       "exec "  the execve of the program failed with errno
//	       "shell"  it was no binary, and /bin/sh failed with errno
//
//	 begin EOF              the program runs
//	 begin exec|shell EOF   it does not
//	 EOF                    the stage died before it came to that
//
// "begin" is there for the third case: a Go program that can not get its
// threads dies in the runtime, before any code of ours.
const (
	messageVersion = "v1"
	messageSize    = 14

	stepBegin = "begin"
	stepExec  = "exec "
	stepShell = "shell"
)

func encodeMessage(step string, errno syscall.Errno) []byte {
	digits := strconv.Itoa(10_000 + int(errno))[1:]
	return []byte(messageVersion + " " + step + " " + digits + "\n")
}

// decodeReport reads all that came until the end of file. "" is a stage that
// died early, "begin" a program that runs, the others are failures.
func decodeReport(b []byte) (step string, errno syscall.Errno, err error) {
	rest, begun := bytes.CutPrefix(b, encodeMessage(stepBegin, 0))
	switch {
	case len(b) == 0:
		return "", 0, nil
	case begun && len(rest) == 0:
		return stepBegin, 0, nil
	case begun && len(rest) == messageSize:
		n, _ := strconv.Atoi(string(rest[9:13]))
		step, errno = string(rest[3:8]), syscall.Errno(n)
		known := n > 0 && (step == stepExec || step == stepShell)
		if known && bytes.Equal(encodeMessage(step, errno), rest) {
			return step, errno, nil
		}
	}
	return "", 0, bad("malformed report ", string(b), " from the exec stage")
}
