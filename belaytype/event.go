package belaytype

import "time"

// Event is one entry of a run's log, with the state of the run after it. Fields that do not belong to the event's type are
// zero.
type Event struct {
	Seq        uint64    `json:"seq"`                  // grows within a run; with gaps
	Time       time.Time `json:"time"`                 // when it was stored
	Run        string    `json:"run"`                  // the run's id
	Type       EventType `json:"type"`                 // what happened
	State      RunState  `json:"state"`                // of the run after it
	Step       string    `json:"step,omitempty"`       // of attempts and steered
	StepState  StepState `json:"step_state,omitempty"` // of Step after it
	Round      int       `json:"round,omitempty"`      // of attempts; from 0, goes up when a person sends the step back
	Rung       string    `json:"rung,omitempty"`       // of attempts; its name
	Try        int       `json:"try,omitempty"`        // from 1 on this rung
	Worker     string    `json:"worker,omitempty"`     // of attempts; who executes it, if known
	Class      Class     `json:"class,omitempty"`      // of failed
	Message    string    `json:"message,omitempty"`    // of failed, progress, resumable, damaged and steered
	TakeBack   int       `json:"take_back,omitempty"`  // of steered: number of the first turn that is taken back; 0 = none
	Escalation string    `json:"escalation,omitempty"` // of decided
	Verb       Verb      `json:"verb,omitempty"`       // of decided
	By         string    `json:"by,omitempty"`         // of submitted, decided, cancelled, migrated, damaged, held, released and steered
	GoesOnAs   string    `json:"goes_on_as,omitempty"` // of migrated: the run that it goes on as
	Reason     string    `json:"reason,omitempty"`     // of decided, cancelled, migrated, damaged, held, released and closed
}

// EventType says what happened.
type EventType string

// The types of events, each with who writes it.
const (
	EventSubmitted EventType = "submitted" // the submitter: the run starts
	EventStarted   EventType = "started"   // a worker: it executes an attempt
	EventClaimed   EventType = "claimed"   // a worker: it alone executes this attempt of an unsafe tool
	EventProgress  EventType = "progress"  // a worker: a message from a running attempt
	EventResumable EventType = "resumable" // a worker: what a running attempt can be gone on with if its worker is lost
	EventSucceeded EventType = "succeeded" // a worker: the attempt gave a result
	EventFailed    EventType = "failed"    // a worker: the attempt ended with a fault
	EventObjected  EventType = "objected"  // a worker: its own tools file is stricter, so it handed the attempt back
	EventFired     EventType = "fired"     // the clock: a time that the run waited for has passed
	EventUnserved  EventType = "unserved"  // the dispatcher: no worker serves the tool
	EventWithdrawn EventType = "withdrawn" // the dispatcher: nobody will execute the attempt
	EventDamaged   EventType = "damaged"   // the dispatcher: the log may have forgotten what was done
	EventHeld      EventType = "held"      // the dispatcher: a closed gate or a limit holds the attempt back
	EventReleased  EventType = "released"  // the dispatcher: nothing holds it back any more
	EventDecided   EventType = "decided"   // a person: a decision on an escalation
	EventCancelled EventType = "cancelled" // a person or a program: the run is to stop
	EventMigrated  EventType = "migrated"  // a person: the run goes on as another one, under another plan
	EventSteered   EventType = "steered"   // a person or a program: a message to an agent of the run
	EventClosed    EventType = "closed"    // the dispatcher: the run has ended
)

// EventTypes lists them all.
func EventTypes() []EventType {
	return []EventType{
		EventSubmitted, EventStarted, EventClaimed, EventProgress, EventResumable, EventSucceeded, EventFailed, EventObjected, EventFired, EventUnserved,
		EventWithdrawn, EventDamaged, EventHeld, EventReleased, EventDecided, EventCancelled, EventMigrated, EventSteered, EventClosed,
	}
}
