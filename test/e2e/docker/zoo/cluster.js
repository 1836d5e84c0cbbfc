'use strict';
// A primary with two workers: it has the socket, and hands them the connections.
const cluster = require('node:cluster');

if (cluster.isPrimary) {
  for (let n = 0; n < 2; n++) cluster.fork();
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM');
  });
} else {
  require('./http.js');
}
