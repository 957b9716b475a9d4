package dispatcher

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/score"
	"belay/internal/text"
)

func (a *app) causesCommand() *cobra.Command {
	var f score.CauseFilter
	var since string
	c := &cobra.Command{Use: "causes", Short: "List what calls fail with, with first seen and trend",
		Long: "Lists what attempts have failed with in the last 30 days, what was seen last first. Faults of a tool with the same class, reason and message\n" +
			"are one cause, whatever numbers, ids and quoted texts are in the message. The line of bars is how often it was seen on each of the last 14\n" +
			"days (UTC), today last. NEW is one that was first seen since the tool was changed in its tools file.",
		Example: "  dispatcher causes\n  dispatcher causes --tool payments.refund --new\n  dispatcher causes --since 2h -o json",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) (err error) {
			if f.Since, err = parseTime("since", since); err != nil {
				return err
			}
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			list, err := score.Causes(c.Context(), s.Bus, f)
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.PrintJSON(list)
			}
			a.showCauses(list)
			return nil
		}}
	c.Flags().StringVar(&f.Tool, "tool", "", "only of this `tool`")
	c.Flags().StringVar(&since, "since", "", "only what was first seen since this `time`: 2h, 7d, or an RFC 3339 time")
	c.Flags().BoolVar(&f.New, "new", false, "only what is new since its tool was changed")
	return c
}

func (a *app) showCauses(list []score.CauseReport) {
	if len(list) == 0 {
		fmt.Fprintln(a.Out, "No such fault was counted.")
	}
	for i := range list {
		c := &list[i]
		class := string(c.Class)
		if c.Reason != "" {
			class += " (" + string(c.Reason) + ")"
		}
		mark := ""
		if c.New {
			mark = "  NEW"
		}
		fmt.Fprintf(a.Out, "%s  %s  %s  %s  × %d%s\n", c.ID, text.Line(c.Tool), class, bars(c.Trend), c.Count, mark)
		fmt.Fprintf(a.Out, "    %s\n", text.Line(c.Sample))
		fmt.Fprintf(a.Out, "    first %s, last %s in run %s\n", clock(c.First), clock(c.Last), c.Run)
	}
}

// bars draws numbers as a line of bars, each between nothing and the largest.
func bars(list []int) string {
	const blocks = "▁▂▃▄▅▆▇█"
	most := 1
	for _, n := range list {
		most = max(most, n)
	}
	var b strings.Builder
	for _, n := range list {
		if n == 0 {
			b.WriteByte('.')
			continue
		}
		b.WriteRune([]rune(blocks)[(n*8-1)/most])
	}
	return b.String()
}
