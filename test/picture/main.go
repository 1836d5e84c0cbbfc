// Command picture makes docs/img/swap.svg, the picture of a terminal in the README: it
// runs swapinit as PID 1 in namespaces with a server that knows nothing of it and load from
// outside, records what the commands print and when, as docs/img/swap.txt, and draws that.
// Without -record it only draws what is recorded.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/swapinit/swapinit/test/build"
	"github.com/swapinit/swapinit/test/e2e/ns"
)

func main() {
	ns.Stage()
	again := flag.Bool("record", false, "run it and record it, before it is drawn")
	flag.Parse()
	ns.Root()
	if err := run(*again); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// file is a file of the picture.
func file(name string) string { return filepath.Join(build.Root(), "docs", "img", name) }

func run(again bool) error {
	if again {
		lines, err := record(context.Background())
		if err != nil {
			return err
		}
		if err := os.WriteFile(file("swap.txt"), []byte(format(lines)), 0o644); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(file("swap.txt"))
	if err != nil {
		return err
	}
	lines, err := parse(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(file("swap.svg"), []byte(draw(lines)), 0o644)
}
