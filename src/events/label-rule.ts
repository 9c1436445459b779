/** An event type whose events each label one event of another type: the subject. */
export interface LabelRule {
  readonly subjectType: string
  /** The field of the data that names the subject by its event id. */
  readonly subjectField: string
  /**
   * Field of the label's data to field of the subject's data that it repeats; `time` is the time at which the subject
   * was observed. A label that says something else contradicts its subject.
   */
  readonly repeats: Readonly<Record<string, string>>
  /** It takes back what was reported of its subject, which has no label from then on; left out: it reports. */
  readonly withdraws?: true
  /** The word for what it reports. */
  readonly says?: string
  /** The field of the data that says which kind of report it is. */
  readonly kindField?: string
}
