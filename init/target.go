package pid1

import (
	"fmt"
	"time"

	"github.com/swapinit/swapinit/internal/atomicfile"
	"github.com/swapinit/swapinit/internal/config"
)

// writeTime bounds how long the answer to a swap waits for the target file.
const writeTime = 10 * time.Second

// writeTarget makes a restarted container resume with what was swapped in, and
// then lets those be answered who asked for the swap: whoever restarts the
// container next shall find the file written.
func (i *Init) writeTarget(command []string) {
	i.clients.writing++
	written := make(chan error, 1)
	go func() { written <- i.launcher.writeTarget(command) }()
	go func() {
		err := fmt.Errorf("not done within %v", writeTime)
		select {
		case err = <-written:
		case <-time.After(writeTime):
		}
		if err != nil {
			i.warn("target", fmt.Sprintf("cannot write SWAPINIT_TARGET_FILE=%q: %v; a restarted container will not resume with the new command", i.launcher.absolute(i.set.TargetFile), err), 0, 0)
		}
		i.post(i.clients.release)
	}()
}

func (l *launcher) writeTarget(command []string) error {
	l.target.Lock()
	defer l.target.Unlock()
	data, err := config.FormatTarget(command)
	if err != nil {
		return err
	}
	return atomicfile.Write(l.absolute(l.set.TargetFile), data)
}
