package cli

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// The first process of a container inherits every process there whose parent has ended, and must collect its exit
// status: until then it stays a zombie, and enough zombies keep new processes from starting. It must not collect the
// status of a program that was started here, because whoever started that waits for it.
//
// The kernel tells the two apart. A child belongs to the thread that started it, inherited ones go to the main thread,
// and a wait can be limited to one thread's children. So in a first process the main goroutine keeps the main thread to
// itself and starts nothing on it; everything else runs in other goroutines.

// onlyMine is __WNOTHREAD of wait(2): wait for this thread's children only.
const onlyMine = 0x20000000

func init() {
	if firstProcess() {
		runtime.LockOSThread() // in an init function, this ties the main goroutine to the main thread
	}
}

func firstProcess() bool { return os.Getpid() == 1 }

// reaping runs main and returns its exit code. In a first process it meanwhile collects the exit statuses of orphans.
func reaping(main func() int) int {
	if !firstProcess() || syscall.Gettid() != os.Getpid() {
		return main()
	}
	ended := make(chan os.Signal, 1) // one is enough: reap collects all
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	code := make(chan int, 1)
	go func() { code <- main() }()
	for {
		reap()
		select {
		case c := <-code:
			return c
		case <-ended:
		}
	}
}

// reap collects the exit status of every child of this thread that has ended.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|onlyMine, nil)
		if pid <= 0 && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
