package config

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// What the verb and the init read is what the setting accepts, with errors that
// can stand in a line of theirs.
func TestParseStages(t *testing.T) {
	for _, c := range goodValues {
		if c.name == "CANARY" {
			if got, err := ParseStages(c.value); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q: got %v, %v; want %v", c.value, got, err, c.want)
			}
		}
	}
	for _, c := range badValues {
		if c.name == "CANARY" {
			got, err := ParseStages(c.value)
			wantError(t, err, c.problem)
			if got != nil {
				t.Errorf("%q: stages in spite of an error: %v", c.value, got)
			}
		}
	}
	_, err := ParseStages("")
	wantError(t, err, "no stage in it")
}

func FuzzStages(f *testing.F) {
	f.Add("1%/10s,25%/30s")
	f.Add("00.10%/1h1ms\t,99.99%/8760h")
	f.Add("1%/\x1b\n")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseStages(s)
		if err != nil {
			checkMessage(t, err)
			return
		}
		again := ""
		for _, g := range got {
			if g.Share < 1 || g.Share > 9999 || g.For < time.Millisecond || g.For > MaxDuration {
				t.Errorf("%q gave %+v", s, g)
			}
			again += fmt.Sprintf("%d.%02d%%/%s ", g.Share/100, g.Share%100, g.For)
		}
		if same, err := ParseStages(again); len(got) == 0 || err != nil || !slices.Equal(same, got) {
			t.Errorf("%q -> %q -> %v, %v", s, again, same, err)
		}
	})
}
