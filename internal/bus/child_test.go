package bus

import (
	"context"
	"fmt"
	"os"

	"belay/internal/bus/embedded"
)

// publishForEver is a process of its own that publishes and prints each subject once it is confirmed.
func publishForEver(dir, durability string) {
	s, err := embedded.Start(embedded.Options{StoreDir: dir, Durability: durability})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	b, err := Connect(context.Background(), Options{InProcess: s})
	if err == nil {
		err = b.Setup(context.Background(), SetupOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	confirmed := make(chan string, 1000)
	slots := make(chan struct{}, 200)
	go func() {
		for i := 0; ; i++ {
			slots <- struct{}{}
			subject := fmt.Sprintf("belay.runs.0.r%d.outcome", i)
			b.Publish(b.Names().RunsStream(0), Message{Subject: subject, Data: make([]byte, 200)}, func(_ uint64, err error) {
				if err == nil {
					confirmed <- subject
				}
				<-slots
			})
		}
	}()
	for subject := range confirmed {
		fmt.Println(subject)
	}
}
