// Package insertion sorts short lists. The generic sorts of package slices are some ten
// kilobytes in the binary for each type that they are used with.
package insertion

// Sort sorts n elements by insertion, which is stable and takes n² steps at most.
func Sort(n int, less func(i, j int) bool, swap func(i, j int)) {
	for i := range n {
		for j := i; j > 0 && less(j, j-1); j-- {
			swap(j, j-1)
		}
	}
}
