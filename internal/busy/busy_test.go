package busy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// The oldest of many, whatever the order in which they come.
func TestInsert(t *testing.T) {
	for n := range 2 * Most {
		all := []Conn{}
		for i := range n {
			all = append(all, Conn{AgeMS: int64(i / 2), Idle: i%3 == 0, Peer: fmt.Sprint(i)})
		}
		rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
		var got []Conn
		for _, c := range all {
			got = Insert(got, &c)
		}
		slices.SortStableFunc(all, func(a, b Conn) int {
			switch {
			case Before(&a, &b):
				return -1
			case Before(&b, &a):
				return 1
			}
			return 0
		})
		for i, c := range got {
			if c.AgeMS != all[i].AgeMS || c.Idle != all[i].Idle {
				t.Errorf("of %d number %d is %+v, want %+v", n, i, c, all[i])
			}
		}
		if len(got) != min(n, Most) {
			t.Errorf("%d of %d", len(got), n)
		}
	}
}
