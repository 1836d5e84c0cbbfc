package control

import (
	"reflect"
	"testing"

	"github.com/swapinit/swapinit/internal/wire"
	"github.com/swapinit/swapinit/test/filled"
)

// Every field of a line is on the wire.
func TestFields(t *testing.T) {
	for _, c := range []struct{ m, again message }{{&Event{}, &Event{}}, {&Reply{}, &Reply{}}, {&WaitArgs{}, &WaitArgs{}}} {
		filled.Set(c.m)
		d, _ := wire.Parse(wire.Line(c.m.fields))
		c.again.fields(d)
		if d.Err != nil || !reflect.DeepEqual(c.m, c.again) {
			t.Errorf("%+v became %+v, %v", c.m, c.again, d.Err)
		}
	}
	// The args of swap and restart have them together.
	var all, again Request
	filled.Set(&all.Swap)
	for _, all.Verb = range []string{VerbSwap, VerbRestart} {
		d, _ := wire.Parse(append([]byte(`{"v":1,`), wire.Object(all.args)[1:]...))
		again.Verb = all.Verb
		again.args(d)
	}
	if !reflect.DeepEqual(all, again) {
		t.Errorf("%+v became %+v", all, again)
	}
}
