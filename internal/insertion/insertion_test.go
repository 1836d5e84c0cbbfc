package insertion

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSort(t *testing.T) {
	for n := range 50 {
		list := make([][2]int, n)
		for i := range list {
			list[i] = [2]int{rand.IntN(10), i}
		}
		want := slices.Clone(list)
		slices.SortStableFunc(want, func(a, b [2]int) int { return a[0] - b[0] })
		Sort(n, func(i, j int) bool { return list[i][0] < list[j][0] }, func(i, j int) { list[i], list[j] = list[j], list[i] })
		if !slices.Equal(list, want) {
			t.Fatalf("%v, want %v", list, want)
		}
	}
}
