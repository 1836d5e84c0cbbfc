package pid1

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/config"
)

// writeTime bounds how long the answer to a swap waits for the target file.
const writeTime = 10 * time.Second

// writeTarget makes a restarted container resume with what was swapped in, and
// then lets those be answered who asked for the swap: whoever restarts the
// container next shall find the file written. A reader of the file sees the old
// text or the new one, never a part.
func (i *Init) writeTarget(command []string) {
	name := i.launcher.absolute(i.set.TargetFile)
	i.clients.writing++
	written := make(chan error, 1)
	go func() {
		i.target.Lock()
		defer i.target.Unlock()
		data, err := config.FormatTarget(command)
		if err == nil {
			err = writeAtomically(name, data)
		}
		written <- err
	}()
	go func() {
		err := fmt.Errorf("not done within %v", writeTime)
		select {
		case err = <-written:
		case <-time.After(writeTime):
		}
		if err != nil {
			i.warn("target", fmt.Sprintf("cannot write SWAPINIT_TARGET_FILE=%q: %v; a restarted container will not resume with the new command", name, err), 0, 0)
		}
		i.post(i.clients.release)
	}()
}

func writeAtomically(name string, data []byte) error {
	temporary := filepath.Dir(name) + "/." + filepath.Base(name) + ".swapinit"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = syscall.Rename(temporary, name)
	}
	if err != nil {
		_ = syscall.Unlink(temporary)
	}
	return err
}
