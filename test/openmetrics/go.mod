// A module of its own: what it needs is nobody else's.
module github.com/swapinit/swapinit/test/openmetrics

go 1.26.0

require (
	github.com/prometheus/prometheus v0.55.1
	github.com/swapinit/swapinit v0.0.0-00010101000000-000000000000
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/grafana/regexp v0.0.0-20240518133315-a468a5bfb3bc // indirect
	github.com/prometheus/client_model v0.6.1 // indirect
	github.com/prometheus/common v0.59.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.18.0 // indirect
	google.golang.org/protobuf v1.34.2 // indirect
)

replace github.com/swapinit/swapinit => ../..
