package reaper

import (
	"os"
	"testing"

	"github.com/swapinit/swapinit/test/pristine"
)

func TestMain(m *testing.M) {
	pristine.Signals()
	os.Exit(m.Run())
}
