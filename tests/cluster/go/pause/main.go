// Command pause holds a pod's namespaces open: it does nothing until it is told to end.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	signal.Ignore(syscall.SIGCHLD) // what pods with shared process namespaces leave is buried by the kernel
	<-ended
}
