package pid1

import (
	"bufio"
	"errors"
	"io"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/clock"

	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/swap"
)

// At debug the log has all that goes into the machine, in the words of its
// scenarios, but for the ticks that nothing came of.
func TestEventsAreLogged(t *testing.T) {
	i := testInit(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	i.logger = logger{logline.New(logline.Options{FD: int(write.Fd()), Level: logline.Debug})}
	write.Close()
	i.began = clock.Now().Add(-time.Hour)
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Tick}) // what it wants to be started is not
	i.step(&swap.ContainerEvent{Kind: swap.Tick})
	i.step(&swap.ContainerEvent{Kind: swap.Stop})
	i.step(&swap.GenerationEvent{Kind: swap.Ready, Generation: 2})
	i.out.Close(time.Minute)
	want := []string{`^swapinit: 1h0m\d[\d.]*s stop$`, `^swapinit: 1h0m\d[\d.]*s ready generation=2$`}
	for lines := bufio.NewScanner(read); lines.Scan(); {
		if len(want) > 0 && regexp.MustCompile(want[0]).MatchString(lines.Text()) {
			want = want[1:]
		} else if regexp.MustCompile(`^swapinit: \d`).MatchString(lines.Text()) {
			t.Errorf("it says %q", lines.Text())
		}
	}
	if len(want) > 0 {
		t.Errorf("it does not say %q", want)
	}
}

// Workers that cannot be started for one reason are one line, and for two they are two.
func TestStartFailedIsOneLine(t *testing.T) {
	i := testInit(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	i.logger = logger{logline.New(logline.Options{FD: int(write.Fd()), Level: logline.Error})}
	write.Close()
	i.machine.Step(0, &swap.ContainerEvent{Kind: swap.Tick}) // what it wants to be started is not
	g := testWorker(1).g
	i.gens.live[1] = g
	for _, why := range []string{"cannot find it", "cannot find it", "no process to be had"} {
		// None of them is the machine's: at the end of the last one all our children would be killed.
		i.launchFailed(&worker{g: g}, errors.New(why), notFound)
	}
	i.out.Close(time.Minute)
	text, err := io.ReadAll(read)
	if want := "swapinit: cannot find it\nswapinit: no process to be had\n"; err != nil || string(text) != want {
		t.Errorf("it says %q, %v, want %q", text, err, want)
	}
}
