"""Models in pydantic v2 that match ours: the same fields, types and leniency, with Thrive's names."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter


class ManagerRef(BaseModel):
    id: str
    name: str | None = None
    ref: str | None = None


class Position(BaseModel):
    id: str
    title: str | None = None
    manager: ManagerRef | None = None
    ouId: str | None = None
    isActive: bool | None = None
    startDate: datetime | None = None
    endDate: datetime | None = None
    createdAt: datetime | None = None
    updatedAt: datetime | None = None


class UserTags(BaseModel):
    skills: list[str] | None = None


class UserRank(BaseModel):
    currentCategory: float | None = None
    currentLevel: float | None = None


class UserAudience(BaseModel):
    id: str


class User(BaseModel):
    id: str
    ref: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    email: str | None = None
    role: str | None = None
    status: str | None = None
    positions: list[Position] | None = None
    additionalFields: dict[str, Any] | None = None
    languageCode: str | None = None
    deleted: bool | None = None
    compliance: float | None = None
    level: float | None = None
    firstLogin: datetime | None = None
    lastLogin: datetime | None = None
    tags: UserTags | None = None
    usersFollowing: list[str] | None = None
    tagsFollowing: list[Any] | None = None
    createdAt: datetime | None = None
    updatedAt: datetime | None = None
    hasPicture: bool | None = None
    timeZone: str | None = None
    summary: str | None = None
    relevancy: float | None = None
    rank: UserRank | None = None
    agreedTerms: str | bool | None = None
    onboarded: bool | None = None
    audiences: list[UserAudience] | None = None
    singleSignOn: bool | None = None


class Pagination(BaseModel):
    totalResults: int | None = None
    totalPages: int | None = None
    page: int | None = None
    perPage: int | None = None


class UserPage(BaseModel):
    results: list[User]
    pagination: Pagination


class AudienceParent(BaseModel):
    name: str | None = None
    reference: str | None = None
    id: str


class Audience(BaseModel):
    id: str
    name: str | None = None
    reference: str | None = None
    apiControlled: bool | None = None
    category: str | None = None
    type: str | None = None
    parent: AudienceParent | None = None
    createdAt: datetime | None = None
    updatedAt: datetime | None = None


class EnrolmentEvent(BaseModel):
    type: str | None = None
    completionId: str | None = None
    previousStatus: str | None = None
    nextStatus: str | None = None
    createdAt: datetime | None = None
    updatedAt: datetime | None = None


class Enrolment(BaseModel):
    id: str
    userId: str | None = None
    assignmentId: str | None = None
    audienceId: str | None = None
    primaryContentId: str | None = None
    status: str | None = None
    availableDate: datetime | None = None
    dueDate: datetime | None = None
    lastCompletedAt: datetime | None = None
    history: list[EnrolmentEvent] | None = None
    updatedAt: datetime | None = None


ENROLMENTS = TypeAdapter(list[Enrolment])
