package cli

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// The first process of a container inherits every process there whose parent has ended, and must take its exit status:
// until then it stays as a zombie, and enough of them keep new processes from being started. Taking the status of a
// program that was started here would be just as wrong: whoever started it waits for it.
//
// The kernel tells the two apart. A child belongs to the thread that started it, what is inherited goes to the main
// thread, and a wait can be for one thread's children alone. So as the first process the main goroutine keeps the main
// thread to itself, which then starts nothing, and everything else runs in other goroutines.

// onlyMine is __WNOTHREAD of wait(2): wait for no other thread's children.
const onlyMine = 0x20000000

func init() {
	if firstProcess() {
		runtime.LockOSThread() // in an init function this ties the main goroutine to the main thread
	}
}

func firstProcess() bool { return os.Getpid() == 1 }

// reaping runs main and returns its exit code. In the first process it takes what orphans leave behind meanwhile.
func reaping(main func() int) int {
	if !firstProcess() || syscall.Gettid() != os.Getpid() {
		return main()
	}
	ended := make(chan os.Signal, 1) // one is enough: reap takes all there are
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

// reap takes the exit status of every child of this thread that has ended.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|onlyMine, nil)
		if pid <= 0 && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
