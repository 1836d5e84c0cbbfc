# The application of the Ruby servers: the worker's pid. ZOO_LOAD as in app.py.
load = ENV.fetch("ZOO_LOAD", "0")
raise "ZOO_LOAD=fail" if load == "fail"
sleep load.to_f

run lambda { |_env|
  body = "zoo #{Process.pid}\n"
  [200, { "Content-Type" => "text/plain", "Content-Length" => body.bytesize.to_s }, [body]]
}
