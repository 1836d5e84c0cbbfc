// Package signals knows what signals are called and what each of them means
// to an init: names and numbers (name.go), the policy that maps a signal to an
// action (policy.go), and the sets that are registered with the Go runtime and
// when (sets.go).
//
// The package never changes a disposition by itself; the caller registers.
package signals
