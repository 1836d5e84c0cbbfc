package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// emulator is how qemu makes a machine of an architecture.
type emulator struct {
	program, pkg string // the package of Debian that has it
	machine      []string
	console      string // the device's name for the kernel
}

var emulators = map[string]emulator{
	"amd64": {"qemu-system-x86_64", "qemu-system-x86", []string{"-machine", "q35", "-cpu", "max"}, "ttyS0"},
	"arm64": {"qemu-system-aarch64", "qemu-system-arm", []string{"-machine", "virt", "-cpu", "cortex-a57"}, "ttyAMA0"},
}

// At panic=-1 it restarts at
// once when its init has ended, which -no-reboot makes the end of the machine. Only what is
// critical is printed by the kernel itself: it would come in the middle of other lines.
const commandLine = "console=%s panic=-1 oops=panic loglevel=3 rdinit=/guest"

// boot runs the machine until its end, and returns what was said on its console. That is
// also in the file log, while the machine runs.
func (k kernel) boot(ctx context.Context, vmlinuz, initramfs, log string, patience time.Duration) (string, error) {
	e := emulators[k.arch]
	if _, err := exec.LookPath(e.program); err != nil {
		return "", fmt.Errorf("%s is not installed: apt-get install --no-install-recommends %s", e.program, e.pkg)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Emulated also where there is a KVM: inside of other virtual machines it may be there
	// and not work, and the same everywhere is worth more than the minutes.
	args := append([]string{"-accel", "tcg", "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none", "-no-reboot",
		"-smp", "2", "-m", "1536", "-kernel", vmlinuz, "-initrd", initramfs, "-append", fmt.Sprintf(commandLine, e.console)}, e.machine...)
	c := exec.CommandContext(ctx, e.program, args...)
	var console, errs bytes.Buffer
	file, err := os.Create(log)
	if err != nil {
		return "", err
	}
	defer file.Close()
	c.Stdout, c.Stderr = io.MultiWriter(&console, file), &errs
	c.WaitDelay = time.Minute
	err = c.Run()
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("the machine did not end within %v, and was ended", patience)
	case err != nil:
		err = errors.Join(fmt.Errorf("%s: %w", e.program, err), errors.New(errs.String()))
	}
	return console.String(), err
}
